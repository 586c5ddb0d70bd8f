"""Function words of common languages; `documents.words` compares them in folded form.

They state no subject, so they are left out of questions. A word can be a function word in one language and a content
word in another ("die", "war"), so the words of one language apply only to texts of that language.
"""

from typing import Final

STOP_WORDS: Final[dict[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": """a about all also an and any are as at be been but by can could did do does for from had has have how
            i if in into is it its may me more most must my no not of on one or other others our out shall should so some
            such than that the their them then there these they this to under up use used using was we were what when
            where which while who whom whose why will with would you your""",
        "de": """aber als am an auch auf aus bei beim bin bis das dass dem den der des die diese dieser dieses dort du
            durch ein eine einem einen einer eines er es fur gegen gibt habe haben hat hier ich ihr im in ins ist ja
            kann kannst konnen man mein mit muss mussen nach nicht noch nur ob oder sein seine seit sich sie sind so
            soll uber um und uns unser vom von vor wann war waren warum was welche welchem welchen welcher welches wem
            wen wenn wer werden wie wieviel wieviele viel viele wir wird wo wurde zu zum zur""",
        "fr": """a ai au aux avec ce ces cet cette combien comment dans de des du elle en est et etait etre il ils je
            la le les leur leurs lors lui mais me mes mon ne nos notre nous on ont ou par pas pour pourquoi qu quand
            que quel quelle quelles quels qui quoi sa sans se ses si son sont sur ta te tes tu un une vos votre vous y
            l d s n j c m t""",
        "es": """a al como con cual cuales cuando cuanta cuantas cuanto cuantos de del donde el ella ellos en entre es
            esta estan este esto fue ha han hay la las le les lo los mas me mi muy no nos o para pero por porque que
            quien quienes se ser si sin sobre son su sus te tiene tienen tu un una unos y ya""",
        "it": """a ad ai al alla alle anche che chi ci come con cosa cui da dal dalla de dei del della delle di do dove
            e ed era gli ha hanno i il in io la le lo ma mi nel nella no noi non o per perche piu qual quale quali
            quando quanta quante quanti quanto questa questo se si sono su sua suo sul sulla tra tu un una uno vi""",
        "pt": """a ao aos as com como da das de do dos e ela ele em entre era esta foi ha isso ja mais mas me meu na
            nao nas no nos o onde os ou para pela pelo por porque qual quais quando quanta quantas quanto quantos que
            quem se sem ser seu seus so sua suas tem um uma""",
        "nl": """aan al als bij dan dat de der deze die dit door een en er geen had heb hebben heeft het hier hij hoe
            hoeveel ik in is je kan me met mijn moet na naar niet nog nu of om onder ons ook op over te tot uit van
            veel voor waar waarom wanneer was wat we wel welk welke werd wie wij worden wordt ze zich zij zijn zo""",
        "sv": """alla att av blir da de dem den denna det detta du efter ej eller en er ett fran for ha han har hon hos
            hur i icke in inte jag kan man med men mer mot mycket manga nar nu och om oss pa sa sin ska som till
            under ut vad var varfor vem vi vid vilka vilken vilket ar""",
        "da": """af alle at blev bliver da de dem den denne der det dette du efter eller en er et for fra ham han har
            hun hvad hvem hvilke hvilken hvilket hvor hvordan hvorfor hvornar i ikke ja jeg kan man mange med meget men
            mig mod nar ned no nogle nu og om op os over pa sa sig sin skal som til ud under var vi vil""",
        "pl": """a aby ale bez bo by byc byl byla bylo co czy dla do gdy gdzie go i ich ile im ja jak jaka jaki jakie
            jako jest jej jego juz kiedy kto ktora ktore ktory lub ma maja mi mnie moze na nad nas nie o od on ona oni
            oraz po pod przed przez przy sa sie skad ta tak tam te tego ten to tu tych tylko w we z za ze""",
        "cs": """a aby ale ani az bez by byl byla bylo co do i ja jak jaka jake jaky je jeho jejich jen jeste ji jsou k
            kam kde kdo kdy kolik ktera ktere ktery ma mezi na nad nebo nej o od on po pod podle pro proc proto pri s
            se si ta tak tam te ten to u uz v ve z za ze""",
        "ro": """a acest acesta al ale am are as au ca cand cat cata cate cati ce cel cine cu cum da dar de decat din
            dupa ei el este eu fi fost i in intre la lui mai nu o or pe pentru prin sa sau se si sunt un unde unei
            unui""",
        "tr": """ama bir bu cok da daha de degil diye en gibi hangi hem icin ile ise kac kadar kim ki mi mu ne neden
            nedir nerede nereye nasil o olan olarak oldugu sonra su tum var ve veya ya""",
        "fi": """ei ehka en etta han he hyvin ja jo jos joka jotka kaikki kanssa koska kuin kuinka kuka kun me milloin
            mika minka missa mista mita mitka monta moni montako mutta myos ne nyt ole oli olla on ovat se sen sina
            siina tai tama te vain voi""",
        "hu": """a az egy es hogy hol ha hany hanyadik ki kell lehet meg mely melyik mennyi mert mi miert mikor milyen
            mit nem nincs ott is itt vagy van vannak volt""",
        "id": """ada adalah akan apa apakah bagaimana berapa bisa dan dapat dari dengan di dalam itu ini kapan ke kita
            lebih mana mereka oleh pada saja saya siapa sudah tidak untuk yang di mana""",
        "vi": """ai bao nhieu bang boi cac cai cho co cua da de den do duoc gi khi khong la lam luc ma may moi mot nao nay
            nhu nhung o oi phai ra rang sao se tai the thi thang tren trong tu va vao ve vi voi""",
        "ru": """а без более бы был была были было быть в вам вас во вот все вы где да для до его ее если есть еще же за
            здесь и из или им их к как какая какие какои какое когда кто куда ли мы на над не него нет ни но о об он
            она они от по под почему при с сколько со так такое там то только у уже чем что чтобы эта эти это этот я""",
        "uk": """а або але без був була було в вже вони він все де для до є за з зі и із і й як яка яке яки якии коли
            куди ми на не ни о об от по под при про скільки та так там то у хто це цеи чи чому що""",
        "el": """απο αυτη αυτο αυτος για δεν ειναι εινε εκει ενα ενας εχει εχουν η θα και κατα μας με μετα μια να ο οι
            οποια οποιο οποιος οπου οταν οτι που ποια ποιο ποιος ποιοσ ποσα ποσες ποση ποσο ποσοι ποτε πριν προσ πως
            σας σε στα στη στην στις στο στον στους τα τη την της τησ τι τις τισ το τον του τους τουσ των ωσ""",
        "ar": """ابن ان او اي اين الى الذي التي بعد بين حتى ذلك على عليه عن عند غير في فيه قبل كان كانت كل كم كيف لا لم لماذا
            له لها ليس ما ماذا متى مع من منذ مِن نحن هذا هذه هل هم هو هي و يا""",
        "fa": """از است اين اگر او با باید بر برای به بود تا چرا چند چه چی چيست خود در را شد شده شود که کجا کدام کی ما می
            من نه نیست ها هر هم و یا یک این چیست""",
        "he": """אבל או אולי איזה איך איפה אין אל אם אני אנחנו את אתה גם הוא היא הם היה היכן זה זאת יש כי כל כמה לא למה
            מה מי מתי עד על עם של""",
        "hi": """और एक इस इन उस का की के को कि कब कहाँ कहां कितना कितनी कितने किस कौन क्या क्यों कैसे जो तक तो था थी थे
            ने नहीं पर भी में यह ये या वह वे से है हैं हो होता होती होते""",
    }.items()
}

# Function words of scripts without blanks, which are removed before the text is cut.
UNSPACED_STOP_WORDS: Final = """
            什么 甚么 什麼 多少 哪里 哪裡 哪个 哪個 哪些 哪 几 幾 吗 嗎 呢 怎么 怎麼 怎样 如何 为什么 為什麼 谁 誰 的 是 了 在 和 与 與 有 要 请问 請問
            何時 何階 何日 何曜日 何人 何年 何 いくつ いくら いつ どこ どの どれ どう だれ なぜ ですか ますか でしょうか です ます ました ません
            でした ください から まで には では とは という ある いる する した される され れる
            อะไร ไหน เท่าไร เท่าไหร่ เมื่อไร เมื่อไหร่ อย่างไร ทำไม ใคร กี่ ของ และ หรือ ที่ เป็น มี ได้ ให้ ใน คือ การ ว่า จะ ครับ ค่ะ คะ
            ຫຍັງ ໃສ ເທົ່າໃດ ເມື່ອໃດ ແນວໃດ ໃຜ ຈັກ ຂອງ ແລະ ຫຼື ທີ່ ເປັນ ມີ ໄດ້ ໃຫ້ ໃນ ແມ່ນ
            អ្វី ណា ប៉ុន្មាន ពេលណា យ៉ាងណា របស់ និង ឬ ដែល ជា មាន បាន នៅ ក្នុង តើ
    """.split()  # noqa: SIM905  # a hundred quoted words read worse
# A particle is removed only between other scripts: inside a word of hiragana it is a part of the word.
JAPANESE_PARTICLES: Final = "のはがをにへとでもやか"
# Endings and particles of Korean words, and whole question words.
KOREAN_ENDINGS: Final = """
            입니까 입니다 습니까 습니다 합니까 합니다 됩니까 됩니다 있습니다 있습니까 했습니다 였습니다 이었습니다 인가요 나요 가요 어요 아요 해요 예요
            이에요 에서는 에서도 에서 에게 으로는 으로 부터 까지 이라고 라고 하고 하는 하며 하여 하려면 이며 이나 처럼 보다 마다 에는 에도 은 는 이 가
            을 를 의 에 와 과 도 만 로 인 들
            """.split()  # noqa: SIM905  # as above
KOREAN_STOP_WORDS: Final = frozenset(
    "무엇 무슨 어디 언제 누구 누가 얼마 얼마나 몇 왜 어떻게 어떤 어느 및 그리고 또는 있 하 되 것 수 등 이 그 저".split()  # noqa: SIM905  # as above
)
